"""What the networks learnt, looked at: every command is one function here, and each gives pictures
and the figures beside them.

    from morelike.explore.sweep import sweep
    found = sweep("runs/00001-roses-dcgan")
    found.files["sweep.png"], found.facts["dimensions"][0]
"""
