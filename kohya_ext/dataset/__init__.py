"""From a folder of pictures to `images/N_Trigger`: intake, roles, layout, advice."""
