"""What each command does; ``flows.command_line`` says how they are called."""
