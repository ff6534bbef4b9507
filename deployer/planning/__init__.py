"""Jobs and LiveJobs -> Plan. Pure: no I/O, no clock."""
