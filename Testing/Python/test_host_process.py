"""QProcess behaves as observed in Slicer (slicer-facts.md, section 3). The programs run are this Python."""

import sys
import time
import unittest

import qt
import slicer


class ProcessTest(unittest.TestCase):
    def setUp(self):
        self.process = qt.QProcess()
        self.events = []

    def tearDown(self):
        if self.process.state() != qt.QProcess.NotRunning:
            self.process.kill()
            self.process.waitForFinished(5000)

    def waitFor(self, condition, seconds=30):
        end = time.time() + seconds
        while not condition() and time.time() < end:
            slicer.app.processEvents()
        self.assertTrue(condition())

    def follow(self, *signals):
        for signal in signals:
            self.assertIs(self.process.connect(signal, lambda *a, s=signal: self.events.append((s, *a))), True)

    def testExitCode(self):
        self.follow("finished(int,QProcess::ExitStatus)", "finished(int)")
        self.process.finished.connect(lambda *a: self.events.append(a))
        self.process.start(sys.executable, ["-c", "raise SystemExit(3)"])
        self.waitFor(lambda: len(self.events) == 3)
        self.assertIn(("finished(int,QProcess::ExitStatus)", 3, 0), self.events)
        self.assertIn(("finished(int)", 3), self.events)
        self.assertIn((3,), self.events)
        self.assertEqual((self.process.exitCode(), self.process.exitStatus()), (3, 0))

    def testInputAndOutputKeepEveryByte(self):
        echo = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
        self.process.start(sys.executable, ("-c", echo))
        self.assertIs(self.process.waitForStarted(30000), True)
        self.assertEqual(self.process.state(), qt.QProcess.Running)
        self.assertEqual(self.process.write("é"), 2)
        self.assertEqual(self.process.write(b"a\0b\n"), 4)
        self.process.closeWriteChannel()
        self.assertIs(self.process.waitForFinished(30000), True)
        self.assertEqual(self.process.readAllStandardOutput().data(), "é".encode() + b"a\0b\n")
        self.assertEqual(self.process.readAllStandardOutput().data(), b"")

    def testLinesArrive(self):
        lines = []

        def read():
            while self.process.canReadLine():
                lines.append(self.process.readLine().data().decode())

        self.process.connect("readyReadStandardOutput()", read)
        self.process.start(sys.executable, ["-u", "-c", "print('one'); print('two')"])
        self.waitFor(lambda: len(lines) == 2)
        self.assertEqual([line.strip() for line in lines], ["one", "two"])

    def testMissingProgram(self):
        self.follow("errorOccurred(QProcess::ProcessError)", "finished(int)", "stateChanged(QProcess::ProcessState)")
        self.process.start("/nosuch/program", [])
        self.waitFor(lambda: self.process.state() == qt.QProcess.NotRunning and self.events)
        self.assertIn(("errorOccurred(QProcess::ProcessError)", 0), self.events)
        self.assertEqual([e for e in self.events if e[0] == "finished(int)"], [])
        self.assertEqual(self.process.error(), qt.QProcess.FailedToStart)

    def testKill(self):
        self.follow("finished(int,QProcess::ExitStatus)", "errorOccurred(QProcess::ProcessError)")
        self.process.start(sys.executable, ["-c", "import sys; sys.stdin.read()"])
        self.assertIs(self.process.waitForStarted(30000), True)
        self.process.kill()
        self.waitFor(lambda: self.process.state() == qt.QProcess.NotRunning)
        self.assertIn(("errorOccurred(QProcess::ProcessError)", 1), self.events)
        self.assertIn(("finished(int,QProcess::ExitStatus)", 9, 1), self.events)

    def testEnvironment(self):
        environment = qt.QProcessEnvironment.systemEnvironment()
        environment.insert("MEDGAN_TEST", "value")
        self.process.setProcessEnvironment(environment)
        self.process.start(sys.executable, ["-c", "import os; print(os.environ['MEDGAN_TEST'])"])
        self.assertIs(self.process.waitForFinished(30000), True)
        self.assertEqual(self.process.readAllStandardOutput().data().strip(), b"value")

    def testNotRunningWritesNothing(self):
        self.assertEqual(self.process.write("x"), -1)
        self.assertEqual(qt.QProcess.execute(sys.executable, ["-c", "raise SystemExit(4)"]), 4)
