"""The program without a cloud: an engine that runs it, and a local Google that keeps what it registers.

`engine`: takes registrations over gRPC, as Pulumi's own engine does. `provider`: Check, Diff, Create, Update, Read, Delete as the `gcp`
provider does them, on `cloud`, a Google that is a few dictionaries. `facts`: what is known of each resource type. `update`: Pulumi's
order of steps. Nothing here is imported by the program itself.
"""
