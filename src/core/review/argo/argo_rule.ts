// The names of the rules about Argo CD's objects, as findings, tests and docs write them.

export const ARGO_RULE_IDS = [
  'ARGO-1',
  'ARGO-2',
  'ARGO-3',
  'ARGO-4',
  'ARGO-5',
  'ARGO-6',
  'ARGO-7',
  'ARGO-8',
  'ARGO-9',
  'ARGO-10',
  'ARGO-11',
  'ARGO-12',
  'ARGO-13',
  'ARGO-14',
  'ARGO-15',
  'ARGO-16',
  'ARGO-17',
  'ARGO-18',
  'ARGO-19',
  'ARGO-20',
  'ARGO-21',
  'ARGO-22',
] as const

export type ArgoRuleId = (typeof ARGO_RULE_IDS)[number]
