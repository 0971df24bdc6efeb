"""Random load in real time, for as long as one likes: `PYTHONPATH=tests python -m soak`.

workflows   templates of all kinds, and the tasks they run
load        users who start runs and disturb them, in one engine after the other
memory      what is alive when nothing should be, and whether it grows
"""
