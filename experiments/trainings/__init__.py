"""What experiments that train arms and compare them share: start with runs.py."""
