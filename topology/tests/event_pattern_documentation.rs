//! The examples of the EventBridge user guide, and of the engine AWS published, as claims about the matcher.

use serde_json::{Value, json};
use topology::EventPattern;

fn matches(pattern: &Value, event: &Value) -> bool {
    EventPattern::from_value(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).matches(event)
}

fn ec2_event() -> Value {
    json!({
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "EC2 Instance State-change Notification",
        "source": "aws.ec2",
        "account": "111122223333",
        "time": "2017-10-02T16:24:49Z",
        "region": "us-west-1",
        "resources": ["arn:aws:ec2:us-west-1:123456789012:instance/i-1234567890abcdef0"],
        "detail": {
            "instance-id": "i-1234567890abcdef0",
            "state": "running",
            "c-count": 5,
            "d-count": 3,
            "x-limit": 301.8,
            "source-ip": "10.0.0.33",
            "eventVersion": "",
            "responseElements": null,
        },
    })
}

#[test]
fn each_operator_takes_and_leaves_what_the_user_guide_says() {
    // One field's tests, values that match, values that do not.
    let cases: Vec<(Value, Vec<Value>, Vec<Value>)> = vec![
        (json!(["Alice"]), vec![json!("Alice"), json!(["Bob", "Alice"])], vec![json!("alice"), json!({})]),
        (json!([""]), vec![json!("")], vec![json!(null), json!(" "), json!([])]),
        (json!([null]), vec![json!(null), json!([1, null])], vec![json!(""), json!("null"), json!(0)]),
        (json!([true]), vec![json!(true)], vec![json!("true"), json!(1), json!(false)]),
        (json!([100]), vec![json!(100), json!(100.0), json!([5, 1e2])], vec![json!("100"), json!(100.5)]),
        (json!([{"prefix": "2017-10-02"}]), vec![json!("2017-10-02T18:43:48Z")], vec![json!("2017-10-03")]),
        (
            json!([{"prefix": {"equals-ignore-case": "EventB"}}]),
            vec![json!("EventBridge"), json!("eventb"), json!("EVENTBRIDGE")],
            vec![json!("Event"), json!("xEventB"), json!(5)],
        ),
        (
            json!([{"suffix": ".png"}]),
            vec![json!("a.png"), json!(".png")],
            vec![json!("a.PNG"), json!("png")],
        ),
        (
            json!([{"suffix": {"equals-ignore-case": ".png"}}]),
            vec![json!("a.PNG"), json!("a.png"), json!("a.PnG")],
            vec![json!("a.pn"), json!("png")],
        ),
        (
            json!([{"equals-ignore-case": "Alice"}]),
            vec![json!("ALICE"), json!("alice")],
            vec![json!("alic"), json!("alicee"), json!(null)],
        ),
        (
            json!([{"anything-but": "initializing"}]),
            vec![json!("running"), json!(5), json!(null), json!(["initializing", "running"])],
            vec![json!("initializing"), json!(["initializing"]), json!([]), json!({"a": 1})],
        ),
        (json!([{"anything-but": 123}]), vec![json!(124), json!("123")], vec![json!(123), json!(123.0)]),
        (
            json!([{"anything-but": ["stopped", "overloaded"]}]),
            vec![json!("running")],
            vec![json!("stopped"), json!("overloaded")],
        ),
        (json!([{"anything-but": [100, 200, 300]}]), vec![json!(99)], vec![json!(100), json!(3e2)]),
        (
            json!([{"anything-but": {"equals-ignore-case": "initializing"}}]),
            vec![json!("running")],
            vec![json!("INITIALIZING"), json!("Initializing")],
        ),
        (
            json!([{"anything-but": {"equals-ignore-case": ["initializing", "stopped"]}}]),
            vec![json!("running")],
            vec![json!("STOPPED"), json!("Initializing")],
        ),
        (json!([{"anything-but": {"prefix": "init"}}]), vec![json!("running")], vec![json!("initializing")]),
        (
            json!([{"anything-but": {"prefix": ["init", "error"]}}]),
            vec![json!("running"), json!("no error")],
            vec![json!("initializing"), json!("error 5")],
        ),
        (json!([{"anything-but": {"suffix": ".txt"}}]), vec![json!("a.rtf")], vec![json!("a.txt")]),
        (
            json!([{"anything-but": {"suffix": [".txt", ".rtf"]}}]),
            vec![json!("a.png")],
            vec![json!("a.txt"), json!("a.rtf")],
        ),
        (
            json!([{"anything-but": {"wildcard": "*/lib/*"}}]),
            vec![json!("/bin/x")],
            vec![json!("/usr/lib/x")],
        ),
        (
            json!([{"anything-but": {"wildcard": ["*/lib/*", "*/bin/*"]}}]),
            vec![json!("/etc/x")],
            vec![json!("/usr/lib/x"), json!("/usr/bin/x")],
        ),
        (
            json!([{"numeric": [">", 0, "<=", 5]}]),
            vec![json!(5), json!(0.1), json!([-1, 3])],
            vec![json!(0), json!(5.1), json!("3"), json!(null)],
        ),
        (json!([{"numeric": ["<", 10]}]), vec![json!(-4), json!(9.99)], vec![json!(10)]),
        (json!([{"numeric": ["=", 3.018e2]}]), vec![json!(301.8)], vec![json!(301.81)]),
        (json!([{"numeric": [">=", 10]}]), vec![json!(10), json!(5.0e9)], vec![json!(9), json!(6.0e9)]),
        (json!([{"cidr": "10.0.0.0/24"}]), vec![json!("10.0.0.255")], vec![json!("10.0.1.0"), json!("ten")]),
        (json!([{"cidr": "0.0.0.0/0"}]), vec![json!("8.8.8.8")], vec![json!("::1")]),
        (json!([{"cidr": "2001:db8::/32"}]), vec![json!("2001:db8::1")], vec![json!("2001:db9::1")]),
        (
            json!([{"exists": true}]),
            vec![json!(1), json!(""), json!(null), json!([1])],
            vec![json!({"c1": 100}), json!([])],
        ),
        (json!([{"exists": false}]), vec![json!({"c1": 100}), json!([])], vec![json!(0), json!(null)]),
        (
            json!([{"wildcard": "dir/*.png"}]),
            vec![json!("dir/a.png"), json!("dir/b/c.png")],
            vec![json!("dir/a.jpg"), json!("a.png")],
        ),
        (json!([{"wildcard": "\\*"}]), vec![json!("*")], vec![json!("a")]),
        (
            json!(["low", {"prefix": "hi"}, {"exists": false}]),
            vec![json!("low"), json!("high"), json!([])],
            vec![json!("medium")],
        ),
    ];
    for (tests, yes, no) in cases {
        let pattern = json!({"detail": {"field": tests}});
        for value in yes {
            assert!(matches(&pattern, &json!({"detail": {"field": value}})), "{tests} takes {value}");
        }
        for value in no {
            assert!(!matches(&pattern, &json!({"detail": {"field": value}})), "{tests} leaves {value}");
        }
    }
}

#[test]
fn a_field_that_is_not_there_matches_only_exists_false() {
    let event = json!({"detail": {}});
    for tests in [
        json!([{"anything-but": "x"}]),
        json!([{"anything-but": [1]}]),
        json!([null]),
        json!([""]),
        json!([{"exists": true}]),
        json!([{"wildcard": "*"}]),
    ] {
        assert!(!matches(&json!({"detail": {"field": tests}}), &event), "{tests}");
    }
    assert!(matches(&json!({"detail": {"field": [{"exists": false}]}}), &event));
    assert!(matches(&json!({"detail": {"field": {"below": [{"exists": false}]}}}), &event));
}

#[test]
fn the_patterns_of_the_user_guide_match_its_events() {
    let matching = [
        json!({"source": ["aws.ec2"], "detail-type": ["EC2 Instance State-change Notification"],
               "detail": {"state": ["initializing", "running"]}}),
        json!({"resources": ["arn:aws:ec2:us-west-1:123456789012:instance/i-1234567890abcdef0"]}),
        json!({"detail": {"eventVersion": [""]}}),
        json!({"detail": {"responseElements": [null]}}),
        json!({"detail": {"c-count": [{"exists": true}], "nothing": [{"exists": false}]}}),
        json!({"time": [{"prefix": "2017-10-02"}], "detail": {
            "state": [{"anything-but": "initializing"}], "c-count": [{"numeric": [">", 0, "<=", 5]}],
            "d-count": [{"numeric": ["<", 10]}], "x-limit": [{"anything-but": [100, 200, 300]}],
            "source-ip": [{"cidr": "10.0.0.0/8"}]}}),
        json!({"detail": {"$or": [{"c-count": [{"numeric": [">", 10]}]}, {"d-count": [{"numeric": ["<", 10]}]},
               {"x-limit": [{"numeric": ["=", 3.018e2]}]}]}}),
    ];
    for pattern in matching {
        assert!(matches(&pattern, &ec2_event()), "{pattern}");
    }
    let not_matching = [
        json!({"source": ["aws.ec2"], "detail": {"state": ["terminated"]}}),
        json!({"detail": {"state": {"deeper": ["running"]}}}),
        json!({"detail": [{"exists": true}]}),
    ];
    for pattern in not_matching {
        assert!(!matches(&pattern, &ec2_event()), "{pattern}");
    }
}

#[test]
fn or_joins_fields_and_may_be_nested() {
    let pattern = json!({
        "source": ["aws.cloudwatch"],
        "$or": [
            {"metricName": ["CPUUtilization", "ReadLatency"]},
            {"metricType": ["MetricType"], "namespace": ["AWS/EC2", "AWS/ES"],
             "$or": [{"metricId": [1234]}, {"spaceId": [1000]}]},
            {"scope": ["Service"]},
        ],
    });
    let base = json!({"source": "aws.cloudwatch", "metricType": "MetricType", "namespace": "AWS/ES"});
    let with = |name: &str, value: Value| {
        let mut event = base.clone();
        event[name] = value;
        event
    };
    assert!(matches(&pattern, &with("metricName", json!("ReadLatency"))));
    assert!(matches(&pattern, &with("spaceId", json!(1000))));
    assert!(matches(&pattern, &with("scope", json!("Service"))));
    assert!(!matches(&pattern, &base));
    assert!(!matches(&pattern, &with("source", json!("aws.ec2"))));
    assert!(!matches(&pattern, &json!({"source": "aws.cloudwatch", "spaceId": 1000})));
}

#[test]
fn fields_of_objects_in_an_array_match_in_one_element() {
    let event = json!({"employees": [
        [{"firstName": "John", "lastName": "Doe"}, {"firstName": "Anna", "lastName": "Smith"}],
        [{"firstName": "Peter", "lastName": "Jones"}],
    ]});
    assert!(matches(&json!({"employees": {"firstName": ["Anna"]}}), &event));
    assert!(matches(&json!({"employees": {"firstName": ["Anna"], "lastName": ["Smith"]}}), &event));
    assert!(!matches(&json!({"employees": {"firstName": ["Anna"], "lastName": ["Jones"]}}), &event));
    assert!(!matches(
        &json!({"employees": {"firstName": ["Anna"]}, "$or": [{"employees": {"lastName": ["Jones"]}}, {"x": [1]}]}),
        &event
    ));
}

#[test]
fn absence_is_a_claim_about_every_element_of_an_array() {
    let absent = json!({"items": {"b": [{"exists": false}], "c": [1]}});
    assert!(!matches(&absent, &json!({"items": [{"c": 1}, {"b": 2}]})));
    assert!(matches(&absent, &json!({"items": [{"c": 1}, {"d": 2}]})));
}

#[test]
fn account_numbers_are_not_rounded() {
    let pattern = json!({"account": [9007199254740993u64]});
    assert!(matches(&pattern, &json!({"account": 9007199254740993u64})));
    assert!(!matches(&pattern, &json!({"account": 9007199254740992u64})));
}

#[test]
fn what_eventbridge_refuses_or_this_matcher_does_not_know_is_refused() {
    let bad = [
        json!([]),
        json!({}),
        json!("source"),
        json!({"source": "aws.ec2"}),
        json!({"source": []}),
        json!({"detail": {}}),
        json!({"source": [["a"]]}),
        json!({"source": [{}]}),
        json!({"source": [{"prefix": "a", "suffix": "b"}]}),
        json!({"source": [{"regex": "a"}]}),
        json!({"source": [{"prefix": 5}]}),
        json!({"source": [{"prefix": {"suffix": "x"}}]}),
        json!({"source": [{"suffix": ["x"]}]}),
        json!({"source": [{"equals-ignore-case": ["x"]}]}),
        json!({"source": [{"anything-but": null}]}),
        json!({"source": [{"anything-but": [true]}]}),
        json!({"source": [{"anything-but": ["a", 1]}]}),
        json!({"source": [{"anything-but": []}]}),
        json!({"source": [{"anything-but": {"prefix": ""}}]}),
        json!({"source": [{"anything-but": {"prefix": []}}]}),
        json!({"source": [{"anything-but": {"numeric": ["=", 1]}}]}),
        json!({"source": [{"exists": "yes"}]}),
        json!({"source": [{"wildcard": "a**b"}]}),
        json!({"source": [{"wildcard": "a\\b"}]}),
        json!({"source": [{"cidr": "10.0.0.0"}]}),
        json!({"source": [{"cidr": "10.0.0.0/33"}]}),
        json!({"source": [{"numeric": ["!=", 5]}]}),
        json!({"source": [{"numeric": [">", 5, "<", 5]}]}),
        json!({"source": [{"numeric": ["<", 5, ">", 1]}]}),
        json!({"source": [{"numeric": ["=", 5.1e9]}]}),
        json!({"source": [{"numeric": ["<"]}]}),
        json!({"source": [{"numeric": []}]}),
        json!({"a.b": ["x"]}),
        json!({"$or": [{"a": [1]}]}),
        json!({"$or": {"a": [1]}}),
        json!({"$or": [{"a": [1]}, 5]}),
        json!({"$or": [{"prefix": ["a"]}, {"a": [1]}]}),
        json!({"a": [1], "$or": [{"a": [2]}, {"b": [1]}]}),
    ];
    for pattern in bad {
        assert!(EventPattern::from_value(&pattern).is_err(), "{pattern}");
    }
    for text in ["", "{", "{\"a\": [1], \"a\": [2]}"] {
        assert!(EventPattern::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_pattern_that_multiplies_out_beyond_a_thousand_combinations_is_refused() {
    let or = |name: &str, choices: usize| -> Value {
        (0..choices).map(|choice| json!({ format!("{name}{choice}"): [1] })).collect()
    };
    let pattern = |choices| json!({"a": {"$or": or("a", 10)}, "b": {"$or": or("b", 10)}, "c": {"$or": or("c", choices)}});
    assert!(EventPattern::from_value(&pattern(10)).is_ok());
    assert!(EventPattern::from_value(&pattern(11)).is_err());
}
