"""Buttons, tables, menus and dialogs of Qt as PythonQt presents them (slicer-facts.md, sections 1 and 2)."""

import unittest

import qt


def whenOpen(action):
    """Call ``action(dialog)`` as soon as a modal dialog is open."""
    qt.QTimer.singleShot(50, lambda: action(qt.QApplication.activeModalWidget()))


class ButtonTest(unittest.TestCase):
    def testToolButton(self):
        button = qt.QToolButton()
        self.assertEqual((button.checkable, button.autoRaise, button.popupMode), (False, False, 0))
        button.toolButtonStyle = qt.Qt.ToolButtonTextUnderIcon
        self.assertEqual(button.toolButtonStyle, qt.Qt.ToolButtonTextUnderIcon)
        menu, action = qt.QMenu(button), qt.QAction("act", button)
        button.setMenu(menu)
        button.setDefaultAction(action)
        self.assertIs(button.menu(), menu)
        self.assertIs(button.defaultAction(), action)
        self.assertEqual(button.text, "act")

    def testGroupSignals(self):
        group, buttons, received = qt.QButtonGroup(), [qt.QToolButton() for _index in range(2)], []
        for number, button in enumerate(buttons):
            button.checkable = True
            group.addButton(button, number)
        for signature in ("buttonClicked(int)", "idClicked(int)", "idToggled(int,bool)"):
            self.assertIs(group.connect(signature, lambda *a, s=signature: received.append((s, *a))), True)
        group.buttonClicked.connect(lambda button: received.append(("button", button)))
        buttons[1].click()
        self.assertEqual(
            set(received),
            {
                ("buttonClicked(int)", 1),
                ("idClicked(int)", 1),
                ("idToggled(int,bool)", 1, True),
                ("button", buttons[1]),
            },
        )
        self.assertIs(group.checkedButton(), buttons[1])
        group.setExclusive(False)
        buttons[1].checked = False
        group.setExclusive(True)
        self.assertEqual(group.checkedId(), -1)

    def testTextSignals(self):
        combo, spinBox, received = qt.QComboBox(), qt.QSpinBox(), []
        for signature in ("currentIndexChanged(int)", "currentIndexChanged(QString)", "currentTextChanged(QString)"):
            self.assertIs(combo.connect(signature, received.append), True)
        self.assertIs(spinBox.connect("valueChanged(QString)", received.append), True)
        combo.addItem("a", {"key": 1})
        self.assertEqual(received, [0, "a", "a"])
        self.assertEqual(combo.currentData, {"key": 1})
        self.assertIs(combo.disconnect("currentIndexChanged(QString)", received.append), True)
        spinBox.value = 3
        self.assertEqual(received[3:], ["3"])


class TableTest(unittest.TestCase):
    def testItemsAndHeader(self):
        table = qt.QTableWidget(2, 2)
        item = qt.QTableWidgetItem("a")
        item.setData(qt.Qt.UserRole, ["x"])
        table.setItem(0, 0, item)
        self.assertIs(table.item(0, 0), item)
        self.assertIsNone(table.item(1, 1))
        self.assertEqual((item.text(), item.row()), ("a", 0))
        table.setHorizontalHeaderLabels(["A", "B"])
        self.assertEqual(table.horizontalHeaderItem(1).text(), "B")
        header = table.horizontalHeader()
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        header.stretchLastSection = True
        self.assertIs(header.stretchLastSection, True)
        table.rowCount = 5
        self.assertEqual((table.rowCount, table.columnCount), (5, 2))

    def testSelection(self):
        table, received = qt.QTableWidget(3, 1), []
        for row in range(3):
            table.setItem(row, 0, qt.QTableWidgetItem(str(row)))
        table.setSelectionBehavior(qt.QTableWidget.SelectRows)
        self.assertEqual(table.selectionBehavior, qt.QTableWidget.SelectRows)
        self.assertIs(table.connect("itemSelectionChanged()", lambda: received.append(table.currentRow())), True)
        table.selectRow(2)
        self.assertEqual(([item.text() for item in table.selectedItems()], received), (["2"], [2]))


class MenuTest(unittest.TestCase):
    def testActions(self):
        menu, received = qt.QMenu(), []
        action = menu.addAction("Remove")
        action.connect("triggered()", lambda: received.append(action.data()))
        action.setData("id")
        menu.addSeparator()
        action.trigger()
        self.assertEqual((len(menu.actions()), received), (2, ["id"]))
        action.setShortcut(qt.QKeySequence("Ctrl+K"))
        self.assertEqual(action.shortcut.toString(), "Ctrl+K")

    def testShortcutOfTheWindow(self):
        window, received = qt.QWidget(), []
        shortcut = qt.QShortcut(window)
        shortcut.setKey(qt.QKeySequence("z"))
        shortcut.connect("activated()", lambda: received.append(1))
        shortcut.activated()
        self.assertEqual((received, shortcut.key.toString(), shortcut.enabled), ([1], "Z", True))
        shortcut.setEnabled(False)
        self.assertIs(shortcut.enabled, False)


class DialogTest(unittest.TestCase):
    def testAcceptAndReject(self):
        for action, expected in ((lambda dialog: dialog.accept(), 1), (lambda dialog: dialog.reject(), 0)):
            with self.subTest(expected=expected):
                dialog = qt.QDialog()
                whenOpen(action)
                self.assertEqual(dialog.exec_(), expected)
                self.assertEqual(dialog.result(), expected)

    def testButtonBox(self):
        dialog, box, received = qt.QDialog(), qt.QDialogButtonBox(), []
        box.setStandardButtons(qt.QDialogButtonBox.Ok | qt.QDialogButtonBox.Cancel)
        dialog.connect("accepted()", lambda: received.append("accepted"))
        self.assertIs(box.connect("accepted()", dialog.accept), True)
        self.assertIs(box.connect("rejected()", dialog.reject), True)
        box.button(qt.QDialogButtonBox.Ok).click()
        self.assertEqual(received, ["accepted"])
        self.assertEqual(box.addButton("Verify", qt.QDialogButtonBox.ActionRole).text, "Verify")

    def testMessageBox(self):
        buttons = qt.QMessageBox.Yes | qt.QMessageBox.No
        whenOpen(lambda box: box.button(qt.QMessageBox.Yes).click())
        self.assertEqual(qt.QMessageBox.question(None, "title", "text", buttons), qt.QMessageBox.Yes)
        box = qt.QMessageBox()
        box.text, box.informativeText = "text", "more"
        button = box.addButton("Download", qt.QMessageBox.AcceptRole)
        whenOpen(lambda _box: button.click())
        box.exec_()
        self.assertIs(box.clickedButton(), button)

    def testInputDialogGivesTheValueOnly(self):
        whenOpen(lambda dialog: dialog.accept())
        self.assertEqual(qt.QInputDialog.getText(None, "t", "l", qt.QLineEdit.Normal, "abc"), "abc")
        whenOpen(lambda dialog: dialog.reject())
        self.assertEqual(qt.QInputDialog.getText(None, "t", "l", qt.QLineEdit.Normal, "abc"), "")
        whenOpen(lambda dialog: dialog.accept())
        self.assertEqual(qt.QInputDialog.getItem(None, "t", "l", ["a", "b"], 1), "b")

    def testTextBrowser(self):
        browser, received = qt.QTextBrowser(), []
        browser.setHtml("<h1>Card</h1><p>text</p>")
        self.assertEqual(browser.plainText, "Card\ntext")
        browser.setMarkdown("# Card")
        self.assertIn("Card", browser.plainText)
        browser.openExternalLinks = True
        self.assertIs(browser.openExternalLinks, True)
        self.assertIs(browser.connect("anchorClicked(QUrl)", received.append), True)
