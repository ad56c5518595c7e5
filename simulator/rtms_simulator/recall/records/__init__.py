"""What a workspace holds and what changes it: the objects, their states as tables, the lifecycle from a create to erased media.

`workspace.Workspace` holds everything, `tables` says which state may follow which, and `lifecycle` moves an MDC along them. A new kind of
object or state begins in `tables`.
"""
