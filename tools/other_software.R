# Additive Q-learning in R, called by other_software.py: lm and the lasso of glmnet.
#   Rscript other_software.R METHOD FOLDER
# reads train.csv (x.., a.., outcome) and test.csv (x..), writes advice.csv.
arguments <- commandArgs(trailingOnly = TRUE)
method <- arguments[1]
folder <- arguments[2]
train <- as.matrix(read.csv(file.path(folder, "train.csv")))
test <- as.matrix(read.csv(file.path(folder, "test.csv")))
x <- train[, grepl("^x", colnames(train))]
a <- train[, grepl("^a", colnames(train))]
outcome <- train[, "outcome"]
begun <- proc.time()[["elapsed"]]
one <- cbind(1, x)
crossed <- do.call(cbind, lapply(seq_len(ncol(a)), function(k) a[, k] * one))
design <- cbind(x, crossed)
if (method == "lm") {
  weights <- lm.fit(cbind(1, design), outcome)$coefficients
} else {
  set.seed(33)
  weights <- as.vector(coef(glmnet::cv.glmnet(design, outcome), s = "lambda.min"))
}
effects <- weights[-seq_len(1 + ncol(x))]
effects <- matrix(effects, ncol = ncol(a))
advice <- ifelse(cbind(1, test) %*% effects > 0, 1, -1)
seconds <- proc.time()[["elapsed"]] - begun
write.csv(advice, file.path(folder, "advice.csv"), row.names = FALSE)
version <- if (method == "lm") {
  paste(R.version$major, R.version$minor, sep = ".")
} else {
  as.character(packageVersion("glmnet"))
}
writeLines(c(as.character(seconds), version), file.path(folder, "seconds.txt"))
