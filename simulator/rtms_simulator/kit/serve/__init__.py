"""The real service on one machine: its processes, the file of its variables, the tunnel to it.

`local_service` starts both functions; another kind of tunnel is a module beside `ngrok_tunnel`.
"""
