"""Commands about a service, local or deployed: serve, doctor, zoom-app, infra, env.

One module a command; a new check of the doctor that asks the worker is in `worker_checks`, what is shown in `findings`.
"""
