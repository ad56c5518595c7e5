"""What the benchmarks of the deployed function share: its processes, the load on them, and the report."""
