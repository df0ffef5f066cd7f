// Short names for the types of the API that pages use.
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Overview = Schemas["Overview"];
export type Alarm = Schemas["AlarmView"];
export type FigureHistory = Schemas["FigureHistory"];
export type Me = Schemas["Me"];
export type Client = Schemas["Client"];
export type ClientDetail = Schemas["ClientDetail"];
export type Session = Schemas["Session"];
export type Owed = Schemas["Owed"];
export type Queued = Schemas["Queued"];
export type Subscription = Schemas["Subscription"];
export type Happened = Schemas["Happened"];

// Settings.
export type ListenerInfo = Schemas["ListenerView"];
export type Limit = Schemas["LimitView"];
export type ConfigEntry = Schemas["ConfigEntry"];
export type Backup = Schemas["BackupView"];
export type BackupList = Schemas["BackupList"];
export type LogLine = Schemas["LogLine"];
export type LogLevel = LogLine["level"];
export type Account = Schemas["AccountView"];
export type Role = Account["role"];
export type Token = Schemas["TokenView"];
export type AuditEntry = Schemas["Entry"];

// Topics and subscriptions.
export type Retained = Schemas["Retained"];
export type Receiver = Schemas["Receiver"];

// Access.
export type AccessSets = Schemas["AccessView"];
export type UserSet = Schemas["UserSetView"];
export type RuleSet = Schemas["RuleSetView"];
export type User = Schemas["UserView"];
export type Rule = Schemas["RuleView"];
export type RuleFile = Schemas["Rules"];
export type RuleProblem = Schemas["RuleProblem"];
export type RulesDiff = Schemas["RulesDiff"];
export type Effects = Schemas["Effects"];
export type FormerRules = Schemas["FormerRulesView"];
export type WhatIfAnswer = Schemas["Answer"];
