"""What maintainers run (execute), and the set-up behind course.py."""
