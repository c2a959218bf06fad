"""Where the rules run: DuckDB in this process, or a Spark cluster."""
