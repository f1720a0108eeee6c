-- A database for trying things out. Its name is taken from the environment: PHARMACY_DB_NAME.

SET QUOTED_IDENTIFIER ON;
GO

IF DB_ID(N'$(PHARMACY_DB_NAME)') IS NULL
    CREATE DATABASE [$(PHARMACY_DB_NAME)];
GO
