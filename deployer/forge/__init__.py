"""Comments and issues on GitHub, GitLab and Gitee: one comment for each project and target, updated in place."""
