-- matrix.canonical_json, against the examples of the specification's appendix and its edges.
\pset format unaligned
SELECT matrix.canonical_json('{}');
SELECT matrix.canonical_json('{"b": "2", "a": "1", "one": 1, "two": {"z": [true, null], "y": {}}}');
SELECT matrix.canonical_json('{"本": 2, "日": 1}');
SELECT matrix.canonical_json('{"a": "\u65E5 \/ \u007f \u001F \b\t\n\f\r\"\\"}');
SELECT matrix.canonical_json('{"\ud83d\ude00": 1, "\ufb33": 2}');
SELECT matrix.canonical_json('{"a": -0, "b": 1e10}');
SELECT matrix.canonical_json('{"a": 9007199254740991, "b": -9007199254740991, "c": 1.0}');
SELECT matrix.canonical_json('{"aa": 1, "b": 2, "a": 3}'::jsonb);
SELECT matrix.canonical_json('{"a": "x\u0000y"}');
SELECT matrix.canonical_json('"text"'), matrix.canonical_json('[1, 2]'::json), matrix.canonical_json('null'::jsonb);
SELECT matrix.canonical_json('{"a": 1.5}');
SELECT matrix.canonical_json('{"a": 9007199254740992}');
SELECT matrix.canonical_json('{"a": 1, "\u0061": 2}');
SELECT matrix.canonical_json('{"a"');
