"""Commands about a service, local or deployed: recordings, doctor, zoom-app."""
