"""What maintainers run (execute, build), and the set-up behind course.py."""
