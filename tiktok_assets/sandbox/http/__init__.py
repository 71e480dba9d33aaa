"""What every request passes: access checks, parameters, rate limits, faults, errors and the envelope."""
