// Short names for the types of the API that pages use.
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Overview = Schemas["Overview"];
export type Me = Schemas["Me"];
export type Client = Schemas["Client"];
export type ClientDetail = Schemas["ClientDetail"];
export type Session = Schemas["Session"];
export type Subscription = Schemas["Subscription"];
export type Happened = Schemas["Happened"];
