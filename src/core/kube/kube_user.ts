// Who a request is to Kubernetes: user.Info of k8s.io/apiserver, `userInfo` in reviews and audit events.

export type KubeUser = {
  readonly username: string
  /** '' when the authenticator gives none. */
  readonly uid: string
  readonly groups: readonly string[]
  readonly extra: Readonly<Record<string, readonly string[]>>
}
