"""Trainings as they run: started so that they outlive Slicer, followed by what they write into their folders."""
