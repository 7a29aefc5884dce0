"""PatchNCE: a patch of the output should be recognized as its own patch of the input, among others of that input."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def patch_nce(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """Return the cross entropy of finding each query's own key among its image's (Park et al. 2020, arXiv 2007.15651).

    Args:
        queries: Float [N, P, D] of length 1, of patches of the output.
        keys: Float [N, P, D] of length 1, of the same patches of the input; no gradient flows to them.
        temperature: the smaller, the sharper.

    Returns:
        Float [N], the mean over the patches of each image.
    """
    similarities = torch.bmm(queries, keys.detach().transpose(1, 2)) / temperature
    num, patches, _ = similarities.shape
    own = torch.arange(patches, device=queries.device).expand(num, patches)
    return cross_entropy(similarities.transpose(1, 2), own, reduction="none").mean(dim=1)
