"""The hand-off's life, pure: values, tables of transitions, and every decision as a function of values.

Read it in this order:

`facts`       what webhooks said of a stream, which only grows; runs of starts; the table of stop reasons
`keys`        every derived key, and the one rule for the next Idempotency-Key
`answers`     what Recall's answers mean: one row for each status
`attempt`     getting one hand-off accepted
`retrieval`   finding its recording
`erasure`     deleting it, once it was revoked
`record`      the hand-off as their sum
`documents`   the records as a store keeps them

Nothing here knows a store, a queue or a clock. All times are milliseconds since the epoch.
"""
