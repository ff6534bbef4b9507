"""Files -> Manifests (`read.read`) -> checked Jobs (`check.check`); what `init` writes (`scaffold.files`)."""
