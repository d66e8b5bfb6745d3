// The names of the rules, as tests, docs, policies and audit events write them.

export const RULE_IDS = [
  'WH-V1',
  'WH-V2',
  'WH-V3',
  'WH-V4',
  'WH-V6',
  'WH-V7',
  'WH-V9',
  'WH-V11',
  'WH-V12',
  'WH-V13',
  'WH-M1',
  'WH-M2',
  'WH-M4',
  'WH-M5',
  'WH-M6',
  'WH-M7',
  'WH-M8',
  'WH-M10',
  'WH-M12',
  'WH-M13',
  'WH-M14',
  'WH-M15',
  'WH-S1',
  'WH-S2',
  'WH-S3',
  'WH-S4',
  'WH-S5',
  'WH-S6',
  'WH-D1',
  'WH-D2',
  'WH-G1',
  'WH-G2',
  'WH-P1',
  'WH-P2',
  'WH-L1',
  'WH-O1',
  'WH-O2',
  'WH-O3',
] as const

export type RuleId = (typeof RULE_IDS)[number]

/** What policies themselves stand on: no policy loosens these or makes an exception to them. */
export const FIXED_RULE_IDS: readonly RuleId[] = ['WH-L1', 'WH-O1', 'WH-O2', 'WH-O3']
