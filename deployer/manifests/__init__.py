"""Files -> Manifests (`read.read`) -> checked Jobs (`check.check`); the files of `init` (`scaffold.files`)."""
