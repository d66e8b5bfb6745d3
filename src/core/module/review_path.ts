// Where reviews are posted: what the server answers and what a generated ValidatingWebhookConfiguration names.

export const REVIEW_PATH = '/review'
