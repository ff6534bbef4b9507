"""Jobs and LiveJobs -> Plan. Pure: no I/O, no clock.

Public: `plan.make_plan`, `plan.current_run`, `plan.exceeded_limits`; `decide.decide`, the decision tables;
`ownership.OwnershipRules`, for the jobs of others; `conditions.conditions`; `plan_json.as_data`;
`saved_plan.SavedPlan`, `read` and `write`; and for apply, which compares again, `align.compare_job` and
`additional.separated`. They are not imported here, so that a verb loads only what it needs.
"""
