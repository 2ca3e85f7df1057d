"""Where Slicer's Qt 5 and the Qt 6 below the stand-in differ: what is too new, and signals that Qt 6 dropped."""

# Class -> members that Qt 5.15 does not have; Slicer 5.12 and 5.13 are built with it.
_TOO_NEW = {
    "QAbstractItemView": "initViewItemOption itemDelegateForIndex keyboardSearchFlags setKeyboardSearchFlags "
    "setUpdateThreshold updateThreshold",
    "QAbstractSpinBox": "returnPressed",
    "QAction": "associatedObjects checkableChanged enabledChanged resetEnabled visibleChanged",
    "QCalendarWidget": "clearMaximumDate clearMinimumDate",
    "QCheckBox": "checkStateChanged",
    "QColor": "fromString isValidColorName toTuple",
    "QComboBox": "labelDrawingMode setLabelDrawingMode",
    "QCryptographicHash": "algorithm resultView supportsAlgorithm",
    "QDropEvent": "buttons modifiers position",
    "QFileInfo": "isAlias isOther junctionTarget readSymLink",
    "QFont": "clearFeatures featureTags featureValue isFeatureSet legacyWeight setFeature setLegacyWeight unsetFeature",
    "QFormLayout": "isRowVisible setRowVisible",
    "QGuiApplication": "setBadgeNumber",
    "QHeaderView": "isSortIndicatorClearable setSortIndicatorClearable sortIndicatorClearable "
    "sortIndicatorClearableChanged",
    "QImage": "colorTransformed convertedTo deviceIndependentSize flip flipped",
    "QKeySequenceEdit": "finishingKeyCombinations isClearButtonEnabled maximumSequenceLength setClearButtonEnabled "
    "setFinishingKeyCombinations setMaximumSequenceLength",
    "QLayout": "horizontalSizeConstraint setHorizontalSizeConstraint setSizeConstraints setVerticalSizeConstraint "
    "unsetContentsMargins verticalSizeConstraint",
    "QLibraryInfo": "isSharedBuild path paths",
    "QLocale": "codeToCountry codeToLanguage codeToTerritory nativeTerritoryName territory territoryToCode "
    "territoryToString",
    "QMessageBox": "options setOption setOptions testOption",
    "QPalette": "accent",
    "QPixmap": "deviceIndependentSize",
    "QPoint": "toPointF toTuple",
    "QPointF": "toTuple",
    "QProcess": "failChildProcessModifier setUnixProcessParameters startCommand unixProcessParameters",
    "QRect": "span toRectF",
    "QRegularExpression": "fromWildcard globalMatchView matchView",
    "QShortcut": "keys setKeys",
    "QSignalBlocker": "dismiss",
    "QSinglePointEvent": "globalPosition position scenePosition",
    "QSize": "toSizeF toTuple",
    "QStackedLayout": "widgetAdded",
    "QStackedWidget": "widgetAdded",
    "QStyle": "name",
    "QStyleHints": "accessibility colorScheme colorSchemeChanged contextMenuTrigger menuSelectionWraps setColorScheme "
    "setContextMenuTrigger",
    "QTextCursor": "insertMarkdown",
    "QTextDocumentFragment": "fromMarkdown toMarkdown toRawText",
    "QThread": "isCurrentThread isMainThread serviceLevel setServiceLevel",
    "QTimer": "id intervalAsDuration remainingTimeAsDuration",
    "QWidget": "accessibleIdentifier setAccessibleIdentifier setScreen",
}
# Signals with a text or a number that Qt 5 has beside the one of the same name, and what Qt 6 calls them.
_OLD_SIGNALS = {
    ("QButtonGroup", "buttonClicked(int)"): "idClicked(int)",
    ("QButtonGroup", "buttonPressed(int)"): "idPressed(int)",
    ("QButtonGroup", "buttonReleased(int)"): "idReleased(int)",
    ("QButtonGroup", "buttonToggled(int,bool)"): "idToggled(int,bool)",
    ("QComboBox", "activated(QString)"): "textActivated(QString)",
    ("QComboBox", "currentIndexChanged(QString)"): "currentTextChanged(QString)",
    ("QComboBox", "highlighted(QString)"): "textHighlighted(QString)",
    ("QDoubleSpinBox", "valueChanged(QString)"): "textChanged(QString)",
    ("QSpinBox", "valueChanged(QString)"): "textChanged(QString)",
}


def tooNew(native):
    """Names (set of str) of a native class that Slicer's Qt does not know."""
    return {name for base in native.__mro__ for name in _TOO_NEW.get(base.__name__, "").split()}


def currentSignature(native, signature):
    """The signature by which the native object knows a signal."""
    names = [base.__name__ for base in type(native).__mro__]
    found = (new for (name, old), new in _OLD_SIGNALS.items() if old == signature and name in names)
    return next(found, signature)
