"""Where people meet Chorus: commands that know no front-end, front-ends that know no commands."""
