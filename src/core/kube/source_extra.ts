// What a cluster learns of the job behind a token, as `extra` of its user: the same keys by AuthenticationConfiguration
// and by token review, so that policies and audit queries do not ask which way a cluster goes.

/** Claims of the kubernetes profile that go into `extra`, in this order; absent ones give no entry. */
export const SOURCE_CLAIMS = [
  'source',
  'repository',
  'repository_id',
  'ref',
  'sha',
  'environment',
  'run_id',
  'policy',
] as const

/** `repository_id` -> `sallyport.dev/repository-id`. */
export function extraKeyOf(claim: string): string {
  return `sallyport.dev/${claim.replaceAll('_', '-')}`
}

/** As kube-apiserver itself names the credential of a JWT (user.CredentialIDKey, Kubernetes 1.32): `JTI=<jti>`. */
export const CREDENTIAL_ID_KEY = 'authentication.kubernetes.io/credential-id'
