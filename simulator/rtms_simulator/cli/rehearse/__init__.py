"""`rtmskit rehearse`: the unmodified Pulumi program, materialised on this machine, and drills against it.

`program` runs it in the engine; `local_cloud` makes of what it registered a cloud on loopback: `deployed.services` (the processes),
`front` (Cloud Run's door), `api_guard` with `judges` (Google's APIs ask the registered grants first), the fakes of the kit's parts, and
`watch` (what Cloud Monitoring sees). `drill` says what a drill is; each file in `drills/` is one. `deployed.with_pulumi` does the same
with the person's own Pulumi, and `deployed.hosted` keeps running what it has deployed.

This is the only code that imports `rtms_infra.rehearsal` and the fakes.
"""
