"""What is deployed, running on this machine: the functions' processes, the schedule, and a whole that is kept running after `up`."""
