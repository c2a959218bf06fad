"""The filter of noisy pairs: rules, engines, the report."""
