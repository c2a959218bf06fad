"""TCL's objectives, a file each."""
