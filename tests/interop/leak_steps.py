# SPDX-License-Identifier: Apache-2.0
"""What the lists of attacks share: an attack is (name, [step, ...]), a step a text or (text, mode) as in leak_agent."""

P = "FROM lk.people"
ONE = f"(SELECT ssn {P} WHERE id = 2)"


def rolled_back(*steps):
    out = ["BEGIN"]
    for step in steps:
        out += [step, "SAVEPOINT s"] if step != "COMMIT" else [step]
    return out + ["ROLLBACK"]
