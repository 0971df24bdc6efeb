"""Many runs: templates, triggers, overrun policies, the end."""
