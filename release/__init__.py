"""How a release is made: wheels for each machine, and one file for machines where nothing can be installed."""
