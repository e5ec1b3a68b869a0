//! What JSON looks like, said once for each type of it: its schema, and an example.

use std::collections::BTreeMap;

use event_store::{DeliveryStatus, PaymentStatus, Role};
use events::{
    Currency, CustomerId, LotId, Money, OrderId, PaidBy, Priority, ProductId, Quantity, Sku, Timestamp, Ulid,
};
use orders::{Status, StatusReason};
use serde_json::{Map, Value, json};

/// Schemas that have a name, for others to refer to.
pub type Schemas = BTreeMap<&'static str, Value>;

/// A type that answers are made of. [`crate::shape!`] says it of a struct, [`crate::words!`] of an enum.
pub trait Shape {
    /// Its JSON Schema. What has a name is put among the schemas and referred to.
    fn schema(schemas: &mut Schemas) -> Value;
    /// A value of it.
    fn example() -> Value;
    /// As [`Shape::schema`], where it is left out rather than null.
    fn present(schemas: &mut Schemas) -> Value {
        Self::schema(schemas)
    }
    /// Adds its fields to those of the object that it is a part of.
    fn fields(_: &mut Object<'_>) {}
}

/// The fields of an object, as they are told one by one.
#[derive(Debug)]
pub struct Object<'a> {
    schemas: &'a mut Schemas,
    properties: Map<String, Value>,
    required: Vec<&'static str>,
    example: Map<String, Value>,
}

impl<'a> Object<'a> {
    /// No fields yet.
    pub fn new(schemas: &'a mut Schemas) -> Self {
        Object { schemas, properties: Map::new(), required: Vec::new(), example: Map::new() }
    }

    /// A field that is always there; of what may be missing inside, as null.
    pub fn always<Of, T: Shape>(
        &mut self,
        _: fn(&Of) -> &T,
        (name, what): (&'static str, &str),
        example: Option<Value>,
    ) {
        let schema = T::schema(self.schemas);
        self.required.push(name);
        self.add(name, what, schema, example.unwrap_or_else(T::example));
    }

    /// A field that is left out where there is nothing to say.
    pub fn perhaps<Of, T: Shape>(
        &mut self,
        _: fn(&Of) -> &T,
        (name, what): (&'static str, &str),
        example: Option<Value>,
    ) {
        let schema = T::present(self.schemas);
        self.add(name, what, schema, example.unwrap_or_else(T::example));
    }

    /// The fields of a part, among those of the whole.
    pub fn part<Of, T: Shape>(&mut self, _: fn(&Of) -> &T) {
        T::fields(self);
    }

    fn add(&mut self, name: &'static str, what: &str, mut schema: Value, example: Value) {
        schema["description"] = what.into();
        self.properties.insert(name.to_owned(), schema);
        self.example.insert(name.to_owned(), example);
    }

    /// The schema of the whole.
    pub fn schema(self, about: &str) -> Value {
        json!({
            "type": "object", "description": about, "properties": self.properties, "required": self.required,
        })
    }

    /// An example of the whole.
    pub fn example(self) -> Value {
        Value::Object(self.example)
    }
}

/// Says what a struct looks like in JSON: each field that is always there, and behind `perhaps` those that are left out
/// where there is nothing to say, with its name where JSON has another, what it is, and perhaps an example; behind `with`, a part whose fields are among its
/// own. It does not compile while a field of the struct is missing.
#[macro_export]
macro_rules! shape {
    ($about:literal, $type:ident $(<$life:lifetime>)? as $name:literal {
        $($field:ident $(as $name_of:literal)?: $what:literal $(= $example:expr)?,)*
    } $(perhaps {
        $($left:ident $(as $left_name:literal)?: $left_what:literal $(= $left_example:expr)?,)*
    })? $(with $part:ident)?) => {
        impl $crate::openapi::Shape for $type $(<$life>)? {
            fn schema(schemas: &mut $crate::openapi::Schemas) -> ::serde_json::Value {
                if !schemas.contains_key($name) {
                    let mut object = $crate::openapi::Object::new(schemas);
                    <Self as $crate::openapi::Shape>::fields(&mut object);
                    let schema = object.schema($about);
                    schemas.insert($name, schema);
                }
                ::serde_json::json!({ "$ref": concat!("#/components/schemas/", $name) })
            }

            fn example() -> ::serde_json::Value {
                let mut schemas = $crate::openapi::Schemas::new();
                let mut object = $crate::openapi::Object::new(&mut schemas);
                <Self as $crate::openapi::Shape>::fields(&mut object);
                object.example()
            }

            fn fields(object: &mut $crate::openapi::Object<'_>) {
                let _: fn(Self) = |whole| {
                    let $type { $($field: _,)* $($($left: _,)*)? $($part: _,)? } = whole;
                };
                $({
                    let example = None::<::serde_json::Value>$(.or(Some(::serde_json::json!($example))))?;
                    let name = [$($name_of,)? stringify!($field)][0];
                    object.always(|whole: &Self| &whole.$field, (name, $what), example);
                })*
                $($({
                    let example = None::<::serde_json::Value>$(.or(Some(::serde_json::json!($left_example))))?;
                    let name = [$($left_name,)? stringify!($left)][0];
                    object.perhaps(|whole: &Self| &whole.$left, (name, $left_what), example);
                })*)?
                $(object.part(|whole: &Self| &whole.$part);)?
            }
        }
    };
}

/// Says which words stand for an enum in JSON. It does not compile while one is missing.
macro_rules! words {
    ($($type:ident { $($word:ident),+ })+) => {$(
        impl Shape for $type {
            fn schema(_: &mut Schemas) -> Value {
                let _: fn(Self) = |word| match word { $($type::$word => (),)+ };
                json!({ "type": "string", "enum": [$($type::$word),+] })
            }
            fn example() -> Value {
                let words = [$($type::$word),+];
                json!(words[0])
            }
        }
    )+};
}

words! {
    Status { Paid, PendingInventory, Confirmed, Shipped, Delivered, Cancelled }
    StatusReason { CancelledOnRequest, ReservationFailed, PaymentRejected }
    PaymentStatus { Accepted, Pending, Rejected, Refunded }
    DeliveryStatus { Pending, Shipped, Delivered, Cancelled }
    Priority { Standard, Express }
    PaidBy { Gateway, Operator }
    Role { Customer, Operator, Admin }
}

macro_rules! plain {
    ($($type:ty: $schema:tt, $example:expr;)+) => {$(
        impl Shape for $type {
            fn schema(_: &mut Schemas) -> Value {
                json!($schema)
            }
            fn example() -> Value {
                json!($example)
            }
        }
    )+};
}

plain! {
    bool: { "type": "boolean" }, true;
    u32: { "type": "integer", "minimum": 0 }, 1;
    u64: { "type": "integer", "minimum": 0 }, 1;
    i64: { "type": "integer" }, 8;
    str: { "type": "string" }, "text";
    String: { "type": "string" }, "text";
    OrderId: { "type": "string" }, "order-0001";
    CustomerId: { "type": "string" }, "anna-1";
    ProductId: { "type": "string" }, "teapot";
    Sku: { "type": "string" }, "TEAPOT-RED";
    LotId: { "type": "string" }, "lot-0001";
    Quantity: { "type": "integer", "minimum": 1, "maximum": 1_000_000_000 }, 2;
    Money: { "type": "number", "minimum": 0, "maximum": 10_000_000_000_000_u64 }, 25.5;
    Currency: { "type": "string", "pattern": "^[A-Z]{3}$" }, "EUR";
    Timestamp: { "type": "string", "format": "date-time" }, "2010-12-01T08:26:00.000Z";
    Ulid: { "type": "string", "minLength": 26, "maxLength": 26 }, "01ARZ3NDEKTSV4RRFFQ69G5FAV";
}

impl<T: Shape + ?Sized> Shape for &T {
    fn schema(schemas: &mut Schemas) -> Value {
        T::schema(schemas)
    }

    fn example() -> Value {
        T::example()
    }

    fn fields(object: &mut Object<'_>) {
        T::fields(object);
    }
}

impl<T: Shape> Shape for Option<T> {
    fn schema(schemas: &mut Schemas) -> Value {
        json!({ "anyOf": [T::schema(schemas), { "type": "null" }] })
    }

    fn example() -> Value {
        T::example()
    }

    fn present(schemas: &mut Schemas) -> Value {
        T::schema(schemas)
    }
}

impl<T: Shape> Shape for [T] {
    fn schema(schemas: &mut Schemas) -> Value {
        json!({ "type": "array", "items": T::schema(schemas) })
    }

    fn example() -> Value {
        json!([T::example()])
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn schema(schemas: &mut Schemas) -> Value {
        <[T]>::schema(schemas)
    }

    fn example() -> Value {
        <[T]>::example()
    }
}
