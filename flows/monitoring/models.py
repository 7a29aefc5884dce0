"""What MLflow knows of each registered model: its champion, and when the stage promote last decided."""

from flows.config.settings import Settings
from flows.monitoring.gauges import Values
from flows.tracking.client import every_page
from flows.tracking.runs import NEWEST_FIRST, Tracking

DECIDED = "tags.stage = 'promote' and attributes.status = 'FINISHED'"


def model_values(settings: Settings) -> Values:
    """Return the metrics of models."""
    values, client = Values(), Tracking(settings).client
    for model in every_page(lambda token: client.search_registered_models(page_token=token)):
        champion = model.aliases.get("champion")
        values.add("atelier_champion", champion is not None, model=model.name)
        if champion is not None:
            made = client.get_model_version(model.name, champion).creation_timestamp
            values.add("atelier_champion_timestamp_seconds", made / 1000, model=model.name)
        experiment = client.get_experiment_by_name(model.name)
        decided = experiment and client.search_runs(
            [experiment.experiment_id], DECIDED, order_by=NEWEST_FIRST, max_results=1
        )
        if decided:
            values.add("atelier_last_decision_timestamp_seconds", decided[0].info.end_time / 1000, model=model.name)
    return values
