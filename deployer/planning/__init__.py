"""Jobs and LiveJobs -> Plan. Pure: no I/O, no clock.

Public: `plan.make_plan`, `plan.current_run`, `plan.exceeded_limits`; `decide.decide`, the decision tables;
`diff.compare`; `plan_json.as_data`; `saved_plan.SavedPlan`, `read` and `write`. They are not imported here, so that a
verb loads only what it needs.
"""
