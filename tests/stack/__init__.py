"""What a team's stack lives through, on real containers: nights, faults, a restore, an upgrade. `make stack-test`."""
