// What `sallyport kube rbac` says beside the objects that it prints. docs/kube-auth-config.md lists the codes.

export const RBAC_CODES = [
  'name_reregistrable',
  'name_shared',
  'name_of_issuer',
  'group_decided_by_name',
  'group_shared',
  'group_of_issuer',
  'policy_disabled',
  'policy_expired',
  'role_is_all',
  'rule_wildcard',
  'rule_escalates',
  'rule_reads_secrets',
  'rule_name_without_effect',
] as const
type RbacCode = (typeof RBAC_CODES)[number]

export type RbacNote = { readonly code: RbacCode; readonly message: string; readonly wayOut: string }
