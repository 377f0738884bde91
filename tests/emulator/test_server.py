def test_an_emulator_answers_at_the_address_it_printed(emulator):
    status = emulator.call("GET", "/emulator/status")
    assert status["ready"]
    assert status["address"] == emulator.address
    assert status["pid"] == emulator.record["pid"] == emulator.process.pid
