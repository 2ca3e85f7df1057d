def makeModule():
    pass
