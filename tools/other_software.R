# Rules in R, called by other_software.py: additive Q-learning by lm and by the lasso of
# glmnet, and one-stage outcome-weighted learning of DTRlearn2, treatment by treatment.
#   Rscript other_software.R METHOD FOLDER
# reads train.csv (x.., a.., outcome) and test.csv (x..), writes advice.csv, and
# seconds.txt: seconds of the clock, of the processor, the version.
# DTRlearn2 is the one installed, or its unpacked source, which DTRLEARN2 names: of it
# only R/owl_logit.R is read, which needs nothing but glmnet.
arguments <- commandArgs(trailingOnly = TRUE)
method <- arguments[1]
folder <- arguments[2]
train <- as.matrix(read.csv(file.path(folder, "train.csv")))
test <- as.matrix(read.csv(file.path(folder, "test.csv")))
x <- train[, grepl("^x", colnames(train))]
a <- train[, grepl("^a", colnames(train))]
outcome <- train[, "outcome"]
if (method != "lm") suppressPackageStartupMessages(library(glmnet))
source_of <- Sys.getenv("DTRLEARN2")
if (method == "owl" && source_of != "") {
  source(file.path(source_of, "R", "owl_logit.R"))
  version <- read.dcf(file.path(source_of, "DESCRIPTION"), "Version")[1]
} else if (method == "owl") {
  owl_logit_single <- getFromNamespace("owl_logit_single", "DTRlearn2")
}
set.seed(33)
begun <- proc.time()
if (method == "owl") {
  # As DTRlearn2::owl(K = 1, loss = "logit.lasso") does with known propensities.
  half <- rep(0.5, nrow(x))
  effects <- sapply(seq_len(ncol(a)), function(k) {
    as.vector(owl_logit_single(x, a[, k], outcome, half)$beta)
  })
} else {
  one <- cbind(1, x)
  crossed <- do.call(cbind, lapply(seq_len(ncol(a)), function(k) a[, k] * one))
  design <- cbind(x, crossed)
  if (method == "lm") {
    weights <- lm.fit(cbind(1, design), outcome)$coefficients
  } else {
    weights <- as.vector(coef(cv.glmnet(design, outcome), s = "lambda.min"))
  }
  effects <- matrix(weights[-seq_len(1 + ncol(x))], ncol = ncol(a))
}
advice <- ifelse(cbind(1, test) %*% effects > 0, 1, -1)
spent <- proc.time() - begun
seconds <- c(spent[["elapsed"]], spent[["user.self"]] + spent[["sys.self"]])
write.csv(advice, file.path(folder, "advice.csv"), row.names = FALSE)
if (method == "lm") {
  version <- paste(R.version$major, R.version$minor, sep = ".")
} else if (method == "glmnet" || source_of == "") {
  package <- if (method == "owl") "DTRlearn2" else method
  version <- as.character(packageVersion(package))
}
writeLines(c(as.character(seconds), version), file.path(folder, "seconds.txt"))
