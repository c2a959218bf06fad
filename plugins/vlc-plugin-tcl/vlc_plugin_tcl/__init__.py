"""TCL's objectives and recipes for vlc: contrast across and within modalities, matching, masked words."""
